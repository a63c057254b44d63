// Package e2e runs the shop as its users do, from the built command, and
// breaks what can break.
package e2e
