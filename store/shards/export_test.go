package shards

// Failpoint has f called at the steps of a move.
func Failpoint(o *Options, f func(at string)) { o.failpoint = f }
