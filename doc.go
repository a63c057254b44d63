// Package warren is the life of a service: it turns a setup function into a
// process that finds the contracts it calls, serves the contracts it
// implements, and starts, drains and stops without losing a request.
package warren
