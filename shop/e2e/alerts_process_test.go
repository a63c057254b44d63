package e2e

import (
	"errors"
	"os"
	"runtime/debug"
	"syscall"
)

// processIsShort: of goroutines there are more and more, of memory and of files
// almost no more than it may have. All services of the bed are one process.
func (b *bed) processIsShort() {
	b.together(func() {
		b.hold(fault{[]expected{alarm("GoroutineLeak", "instance", "hung/1")}, func() (func(), error) {
			n, ok := b.value(`go_goroutines{instance="hung/1"}`)
			if !ok {
				return nil, errors.New("the number of goroutines is not known")
			}
			enough := make(chan struct{})
			for range int(1.4*n) + 600 {
				go func() { <-enough }()
			}
			return func() { close(enough) }, nil
		}})
	}, func() {
		b.hold(fault{[]expected{alarm("MemoryNearLimit", "instance", "hung/1")}, func() (func(), error) {
			used, ok := b.value(`process_resident_memory_bytes{instance="hung/1"}`)
			if !ok {
				return nil, errors.New("the memory in use is not known")
			}
			before := debug.SetMemoryLimit(int64(used))
			return func() { debug.SetMemoryLimit(before) }, nil
		}})
	}, func() {
		b.hold(fault{[]expected{alarm("FileDescriptorsShort", "instance", "hung/1")}, b.filesRunShort})
	}, b.registryForgets)
}

// filesRunShort opens nine of ten of the files that may be open at once, of which
// it lets there be fewer than usual.
func (b *bed) filesRunShort() (func(), error) {
	used, ok := b.value(`process_open_fds{instance="hung/1"}`)
	if !ok {
		return nil, errors.New("the number of open files is not known")
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		return nil, err
	}
	fewer := syscall.Rlimit{Cur: uint64(used)*2 + 2000, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &fewer); err != nil {
		return nil, err
	}
	var held []*os.File
	heal := func() {
		for _, f := range held {
			f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			b.t.Error(err)
		}
	}
	for len(held) < int(float64(fewer.Cur)*0.88-used) {
		f, err := os.Open(os.DevNull)
		if err != nil {
			heal()
			return nil, err
		}
		held = append(held, f)
	}
	return heal, nil
}
