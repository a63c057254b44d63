package main

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// batchRows is how many rows of an import are written at once: what was
// written stays if the import breaks off, and may be sent again.
const batchRows = 100

func (s *service) ImportProducts(stream grpc.ClientStreamingServer[catalogv1.ImportProductsRequest, catalogv1.ImportProductsResponse]) error {
	run := &importRun{service: s, in: newIntake()}
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := run.take(stream.Context(), req); err != nil {
			return err
		}
	}
	if err := run.flush(stream.Context()); err != nil {
		return err
	}
	out := run.out
	s.log.InfoContext(stream.Context(), "products imported", "by", auth.FromContext(stream.Context()).Subject,
		"rows", out.rows, "created", out.created, "updated", out.updated, "unchanged", out.unchanged, "refused", out.refused)
	return stream.SendAndClose(out.message())
}

// importRun is one import under way.
type importRun struct {
	service *service
	in      *intake
	batch   []product
	out     report
}

func (i *importRun) take(ctx context.Context, req *catalogv1.ImportProductsRequest) error {
	i.out.rows++
	if most := int64(i.service.rows.Get()); i.out.rows > most {
		if err := i.flush(ctx); err != nil {
			return err
		}
		return rpc.Errorf(catalogv1.Reason_TOO_MANY_ROWS, "an import has at most %d rows: send the rest in another one", most)
	}
	from := row{
		line: req.GetLine(), sku: req.GetSku(), name: req.GetName(), description: req.GetDescription(),
		category: req.GetCategory(), price: req.GetPrice(), currency: req.GetCurrencyCode(),
	}
	p, refused := i.in.take(from)
	switch {
	case refused != nil:
		i.out.refuse(from, refused, maxRefusals)
	case p == nil:
		i.out.unchanged++
	default:
		i.batch = append(i.batch, *p)
	}
	if len(i.batch) < batchRows {
		return nil
	}
	return i.flush(ctx)
}

// flush writes what was taken.
func (i *importRun) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	done, err := i.service.products.apply(ctx, i.batch, i.service.now())
	if err != nil {
		return err
	}
	var skus []string
	for n, what := range done {
		switch what {
		case created:
			i.out.created++
		case updated:
			i.out.updated++
		default:
			i.out.unchanged++
			continue
		}
		skus = append(skus, i.batch[n].sku)
	}
	i.batch = i.batch[:0]
	if len(skus) > 0 {
		i.service.forget(ctx, skus...)
	}
	return nil
}

func (r report) message() *catalogv1.ImportProductsResponse {
	out := &catalogv1.ImportProductsResponse{
		Rows: r.rows, Created: r.created, Updated: r.updated, Unchanged: r.unchanged, Refused: r.refused,
	}
	for _, refused := range r.refusals {
		out.Refusals = append(out.Refusals, &catalogv1.ImportProductsResponse_Refusal{
			Line: refused.line, Sku: refused.sku, Reason: refused.reason, Message: refused.message,
		})
	}
	return out
}
