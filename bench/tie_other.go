//go:build !linux

package main

import "os/exec"

// tie does nothing: without /proc there is nothing to measure.
func tie(*exec.Cmd) {}

// asNobody does nothing: without /proc there is nothing to measure.
func asNobody(*exec.Cmd) {}
