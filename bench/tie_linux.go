package main

import (
	"os/exec"
	"syscall"
)

// tie lets the process end with this one, however it ends.
func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
