package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/rpc"
)

func newCall(o *options) *cobra.Command {
	var token string
	c := &cobra.Command{
		Use:     "call contract/method ['<json>' | -]",
		Short:   "Call a method by contract",
		Example: "  warren call shop.catalog.v1.CatalogService/GetProduct '{\"sku\": \"22423\"}'",
		Args:    takes(1, 2, "contract/method and, if it needs one, a request in JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := requestBody(cmd, args[1:])
			if err != nil {
				return err
			}
			if token == "" {
				token = os.Getenv("WARREN_TOKEN")
			}
			return o.call(cmd, strings.TrimPrefix(args[0], "/"), body, token)
		},
	}
	c.Flags().StringVar(&token, "token", "", "bearer token of the user in whose name to call (WARREN_TOKEN)")
	return c
}

// requestBody is the request as it was given, or an empty one.
func requestBody(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 {
		return "{}", nil
	}
	if args[0] != "-" {
		return args[0], nil
	}
	text, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return "", fmt.Errorf("read the request: %w", err)
	}
	return string(text), nil
}

func (o *options) call(cmd *cobra.Command, method, body, token string) error {
	service, name, ok := strings.Cut(method, "/")
	if !ok {
		return fmt.Errorf("call %s: want contract/method, for instance shop.catalog.v1.CatalogService/GetProduct", method)
	}
	g, err := o.visit(cmd.Context())
	if err != nil {
		return err
	}
	defer g.close()
	files, err := g.files(cmd.Context(), service)
	if err != nil {
		return err
	}
	m, err := findMethod(files, service, name)
	if err != nil {
		return err
	}
	types := dynamicpb.NewTypes(files)
	in := dynamicpb.NewMessage(m.Desc.Input())
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(body), in); err != nil {
		if kind := transcode.KindOf([]byte(body)); json.Valid([]byte(body)) && kind != "an object" {
			return fmt.Errorf("read the request as %s: want an object, such as {}, not %s; it has %s", m.Desc.Input().FullName(), kind, fields(m.Desc.Input()))
		}
		return fmt.Errorf("read the request as %s: %w; it has %s", m.Desc.Input().FullName(), err, fields(m.Desc.Input()))
	}
	client, err := g.client(m)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx := cmd.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.MetadataAuthorization, "Bearer "+token)
	}
	err = exchange(ctx, cmd.OutOrStdout(), client, m, in, types)
	if !m.Safe && os.Getenv("WARREN_REGISTRY") == "" {
		o.record(cmd, "call", method, "", codeOf(err))
	}
	return err
}

// codeOf is an error without what it says, which may be of what was sent.
func codeOf(err error) error {
	if err == nil {
		return nil
	}
	code, _, _ := strings.Cut(err.Error(), ":")
	return errors.New(code)
}

// client calls one method in the command's name.
func (g *guest) client(m *contract.Method) (*rpc.Client, error) {
	return rpc.NewClient(rpc.ClientOptions{
		Registry: g.registry, Logger: slog.New(slog.DiscardHandler), Service: "warren", ServiceKey: g.key, Host: g.env.Host,
		Methods: func(string) *contract.Method { return m },
	})
}

// fields lists the fields of a message as JSON names them.
func fields(md protoreflect.MessageDescriptor) string {
	var names []string
	for i := range md.Fields().Len() {
		names = append(names, md.Fields().Get(i).JSONName())
	}
	if names == nil {
		return "no fields"
	}
	return strings.Join(names, ", ")
}

func findMethod(files *protoregistry.Files, service, method string) (*contract.Method, error) {
	d, err := files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", service, err)
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("find %s: it is no service", service)
	}
	read, err := contract.Read(sd)
	if err != nil {
		return nil, err
	}
	if m := read.Method(method); m != nil {
		return m, nil
	}
	var names []string
	for _, m := range read.Methods {
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("%s has no method %s; it has %s", service, method, strings.Join(names, ", "))
}

// exchange sends one message and prints each answer.
func exchange(ctx context.Context, w io.Writer, conn grpc.ClientConnInterface, m *contract.Method, in proto.Message, types *dynamicpb.Types) error {
	if m.ClientStreams {
		return fmt.Errorf("call %s: it takes a stream of messages, which this command does not send", m.FullName)
	}
	show := func(msg proto.Message) error {
		text, err := protojson.MarshalOptions{Resolver: types}.Marshal(msg)
		if err != nil {
			return fmt.Errorf("print the answer: %w", err)
		}
		return printJSON(w, json.RawMessage(text))
	}
	if !m.ServerStreams {
		out := dynamicpb.NewMessage(m.Desc.Output())
		if err := conn.Invoke(ctx, m.FullName, in, out); err != nil {
			return describe(err)
		}
		return show(out)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.FullName)
	if err == nil {
		err = errors.Join(stream.SendMsg(in), stream.CloseSend())
	}
	for err == nil {
		out := dynamicpb.NewMessage(m.Desc.Output())
		if err = stream.RecvMsg(out); err == nil {
			err = show(out)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return describe(err)
}

// describe shows everything that an error says.
func describe(err error) error {
	e := rpc.FromError(err)
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", e.Code, e.Message)
	if e.Reason != "" {
		fmt.Fprintf(&text, " (%s in %s)", e.Reason, e.Domain)
	}
	for _, v := range e.Violations {
		fmt.Fprintf(&text, "\n  %s: %s", v.Field, v.Description)
	}
	return errors.New(text.String())
}
