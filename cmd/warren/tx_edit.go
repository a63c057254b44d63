package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/contract"
)

func newTxEdit(o *options) *cobra.Command {
	var reason, data string
	var force bool
	c := &cobra.Command{
		Use:   "edit transaction step ['<json>' | -]",
		Short: "Replace the request of a step that is not done, and go on",
		Long: "Replace the request of a step that is not done, and go on.\n\nThe request is given as JSON, or, with --data-file, as a file of its bytes.\n" +
			"Those who have answered the old request already are not asked again: where that is not known it is refused, unless forced.",
		Example: "  warren tx edit checkout/4711 ship '{\"shipment_id\": \"4711\", \"zip\": \"10115\"}' --reason 'the customer mistyped'",
		Args:    takes(2, 3, "a transaction, one of its steps, and the request in JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, raw, err := newRequest(cmd, args[2:], data)
			if err != nil {
				return err
			}
			return o.changeTx(cmd, reason, func(ctx context.Context, g *guest, c txnv1.OperatorServiceClient, by *txnv1.By) (*txnv1.Transaction, error) {
				if text != "" {
					if raw, err = g.encode(ctx, c, args[0], args[1], text); err != nil {
						return nil, err
					}
				}
				return c.Edit(ctx, &txnv1.EditRequest{Gid: args[0], Branch: args[1], Request: &txnv1.EditRequest_Data{Data: raw}, By: by, Force: force})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	c.Flags().BoolVar(&force, "force", false, "also where the step may have been done by its old request")
	c.Flags().StringVar(&data, "data-file", "", "file with the request as it travels, instead of JSON")
	return c
}

// newRequest is the new request as it was given: as JSON, or as it travels.
func newRequest(cmd *cobra.Command, args []string, file string) (text string, raw []byte, err error) {
	switch {
	case (len(args) == 0) == (file == ""):
		return "", nil, errors.New("edit: give the request either as JSON or with --data-file")
	case file != "":
		if raw, err = os.ReadFile(file); err != nil {
			return "", nil, fmt.Errorf("read the request: %w", err)
		}
		return "", raw, nil
	}
	text, err = requestBody(cmd, args)
	return text, nil, err
}

// encode writes JSON as the request of a step. The coordinator knows no
// contracts but its own; whoever serves the step's does.
func (g *guest) encode(ctx context.Context, c txnv1.OperatorServiceClient, gid, step, text string) ([]byte, error) {
	shown, err := c.Show(ctx, &txnv1.ShowRequest{Gid: gid})
	if err != nil {
		return nil, err
	}
	method := ""
	for _, b := range shown.GetTransaction().GetBranches() {
		if b.GetName() == step {
			method = strings.TrimPrefix(b.GetMethod(), "/")
		}
	}
	service, name, ok := strings.Cut(method, "/")
	if !ok {
		return nil, fmt.Errorf("edit: %s has no step %s; warren tx show lists them", gid, step)
	}
	files, err := g.files(ctx, service)
	if err != nil {
		return nil, fmt.Errorf("edit: %w; with --data-file nobody has to", err)
	}
	m, err := findMethod(files, service, name)
	if err != nil {
		return nil, err
	}
	in := dynamicpb.NewMessage(m.Desc.Input())
	if err := (protojson.UnmarshalOptions{Resolver: dynamicpb.NewTypes(files)}).Unmarshal([]byte(text), in); err != nil {
		return nil, fmt.Errorf("read the request as %s: %w; it has %s", m.Desc.Input().FullName(), err, fields(m.Desc.Input()))
	}
	if path := contract.SecretSet(in); path != "" {
		return nil, fmt.Errorf("edit: the field %s is a secret, which transactions do not carry; leave it out", path)
	}
	return proto.Marshal(in)
}
