package fleet

import "syscall"

// dieWithParent puts a child into its own process group, so that Ctrl-C
// reaches the supervisor alone, and lets the kernel kill it when the
// supervisor is gone.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
