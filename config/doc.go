// Package config is live, typed settings: numbers and switches that a running
// system obeys at once when somebody changes them, and that can't be set wrong.
//
// A setting is declared once, with its type, default, range and meaning:
//
//	var timeout = config.Duration("rpc.timeout", 2*time.Second, time.Millisecond, time.Hour,
//		"how long a call may take, retries included")
//
// Code that obeys it watches it for the place where it applies, and reads it
// on its hot path; a read is one atomic load:
//
//	limit := config.Watch(settings, timeout, config.Scope{Method: "/shop.catalog.v1.CatalogService/GetProduct"})
//	…
//	ctx, cancel := context.WithTimeout(ctx, limit.Get())
//
// # Layers
//
// What is in force for a place comes from the highest layer that says something;
// within a layer the most specific scope wins:
//
//	centre   all → service → contract → method → method in one service
//	file     all → service → contract → method → method in one service
//	contract the value that the protobuf contract gives, handed to Watch
//	default  the value in the declaration
//
// When an entry is deleted, the layer below it is in force again.
//
// # The centre
//
// The centre holds one document per environment, in an engine chosen by a
// driver (etcd, a file). A change is one or more edits, checked against the
// definitions that the running services published, and made by compare-and-swap:
// all of it or nothing, each with author, time and reason, each a new revision that
// a rollback can return to. Centre makes the changes; Settings follow them.
//
// # What can't happen
//
// A document that is damaged, older than one seen before or written for another
// environment is refused as a whole, a value of the wrong type or out of range
// is refused alone; both times the last good one stays in force, the log says
// so once, and a metric counts it. While the centre is away the last values stay
// in force and Stale tells so; a process that starts meanwhile takes them from
// its snapshot on disk.
//
// Secrets are settings of type Secret: they print as [redacted] in logs, JSON,
// InForce, Diff and History. They are stored as text in the engine and (mode
// 0600) in the snapshot, so guard both.
package config
