package console

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/internal/console/frame"
)

// How long an answer serves all pages that want it. They are no limits, nothing is
// refused beyond them: a page is as old as that at most, and what it asks costs
// the same whether one is open or a hundred.
const (
	// moment is that of what changes all the time. Scrapes are further apart.
	moment = 2 * time.Second
	// while is that of what people change, and of what is dear to find.
	while = 10 * time.Second
	// minute is that of what stays as it is.
	minute = time.Minute
)

// answers are what the API said lately.
type answers = cache.Cache[string, any]

func newAnswers() (*answers, error) {
	const most, patience = 32 << 20, 30 * time.Second // in bytes, about
	return cache.New(cache.Options[string, any]{
		Name: "console", Max: most, Cost: sizeOf, TTL: minute, Jitter: -1, NegativeTTL: -1, LoadTimeout: patience,
	})
}

// sizeOf is about how many bytes an answer takes.
func sizeOf(key string, answer any) int {
	const event = 400
	switch a := answer.(type) {
	case proto.Message:
		return len(key) + proto.Size(a)
	case []happened:
		return len(key) + event*len(a)
	}
	return len(key)
}

// once asks at most once in a while, for all who want to know. What is named has to
// be the same for all of them; nobody may change it. An answer with an error is
// kept for nobody.
func once[A any](ctx context.Context, from *answers, fresh time.Duration, name string, ask func(context.Context) (A, error)) (A, error) {
	key := name + " " + strconv.FormatInt(time.Now().UnixNano()/int64(fresh), 36)
	found, err := from.Get(ctx, key, func(ctx context.Context, _ string) (any, error) { return ask(ctx) })
	answer, _ := found.(A)
	return answer, err
}

// instant asks what a query finds now.
func (s *screens) instant(ctx context.Context, query string) (*observev1.QueryResponse, error) {
	return once(ctx, s.answers, moment, "instant "+query, func(ctx context.Context) (*observev1.QueryResponse, error) {
		return s.metrics.Query(ctx, &observev1.QueryRequest{Query: query})
	})
}

// freshFor is how long an answer about a span of time serves: the longer that is,
// the dearer it was, and the less a few seconds change of it.
func freshFor(span frame.Range) time.Duration { return min(max(2*moment, stepOf(span)), minute) }

// seldom asks for somebody who opens a page, and for pages that renew themselves as
// seldom as their span of time lets it.
func seldom[A any](r *frame.Request, from *answers, what string, ask func(context.Context) (A, error)) (A, error) {
	if !r.Renewal() {
		return ask(r.Context())
	}
	return once(r.Context(), from, freshFor(r.Range), what+" of "+r.With("page", ""), ask)
}

// errNothing is why an empty answer is asked for again at once: whoever waits for
// the first sample waits for nothing else.
var errNothing = errors.New("nothing yet")

// course asks what a query found in the span of time of a page.
func (s *screens) course(r *frame.Request, query string, ask func(context.Context) (*observev1.QueryRangeResponse, error)) (
	*observev1.QueryRangeResponse, error,
) {
	name := fmt.Sprintf("course %s\x00%s\x00%s", query, r.Range.RawFrom, r.Range.RawTo)
	found, err := once(r.Context(), s.answers, freshFor(r.Range), name, func(ctx context.Context) (*observev1.QueryRangeResponse, error) {
		resp, err := ask(ctx)
		if err == nil && len(resp.GetSeries()) == 0 {
			err = errNothing
		}
		return resp, err
	})
	if errors.Is(err, errNothing) {
		return found, nil
	}
	return found, err
}
