package barrier

import "context"

// Tidy does at once what Run does now and then.
func (b *Barrier) Tidy(ctx context.Context) error { return b.tidy(ctx) }
