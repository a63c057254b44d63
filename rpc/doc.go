// Package rpc calls services by contract and serves contracts: a Client finds
// an instance of the contract in a method's name and keeps the call within the
// contract's policies, a Server enforces what the contract says before a
// handler sees the call, and an Error says the same on both sides of the wire.
package rpc
