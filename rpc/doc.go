// Package rpc makes and serves calls by contract: a client that finds the
// instances of a contract and survives their deaths, a server that protects
// itself and its contract, and errors that mean the same on both sides.
package rpc
