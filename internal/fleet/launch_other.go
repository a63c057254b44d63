//go:build !linux

package fleet

import "syscall"

// dieWithParent puts a child into its own process group, so that Ctrl-C
// reaches the supervisor alone; the child watches its life line.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
