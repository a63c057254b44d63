package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// patience bounds how long the command waits for the registry.
const patience = 5 * time.Second

// guest is the command inside a running system: it sees the registry and may
// call, but serves nothing.
type guest struct {
	env      node.Environment
	registry *registry.Registry
	key      *auth.ServiceKey
}

func (o *options) visit(ctx context.Context) (*guest, error) {
	env, err := o.environmentOf()
	if err != nil {
		return nil, err
	}
	if env.Registry == "" {
		return nil, fmt.Errorf("no registry: no system runs in %s, and WARREN_REGISTRY names none", o.dataDir())
	}
	driver, err := node.OpenRegistry(ctx, env.Registry)
	if err != nil {
		return nil, err
	}
	g := &guest{env: env, registry: registry.New(driver, registry.Options{Logger: slog.New(slog.DiscardHandler)})}
	if g.key, err = node.ReadKey(env.KeyFile); err != nil {
		return nil, errors.Join(err, g.close())
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := g.registry.Ready(wait); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *guest) close() error { return g.registry.Close() }

// reader asks instances for their contracts in the command's name.
func (g *guest) reader() *reflected.Reader {
	return &reflected.Reader{Token: func() (string, string) {
		if g.key == nil {
			return "", ""
		}
		token, err := g.key.Sign("warren")
		if err != nil {
			return "", "" // reflection is open to everybody inside
		}
		return rpc.MetadataService, token
	}}
}

// files reads the descriptors of one contract from an instance that serves it.
func (g *guest) files(ctx context.Context, name string) (*protoregistry.Files, error) {
	instances := g.registry.Contract(name)
	if len(instances) == 0 {
		return nil, fmt.Errorf("nobody serves %s; warren routes and warren ps tell who serves what", name)
	}
	set, err := g.reader().Files(ctx, instances[0].Address, name)
	if err != nil {
		return nil, err
	}
	return reflected.Link(set)
}

// registered reads the descriptors of everything that is served.
func (g *guest) registered(ctx context.Context) (*protoregistry.Files, error) {
	all := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, i := range g.registry.Snapshot().Instances {
		for _, name := range i.Contracts {
			if seen[name] {
				continue
			}
			seen[name] = true
			set, err := g.reader().Files(ctx, i.Address, name)
			if err != nil {
				return nil, err
			}
			for _, f := range set.GetFile() {
				if !seen[f.GetName()] {
					seen[f.GetName()] = true
					all.File = append(all.File, f)
				}
			}
		}
	}
	return protodesc.NewFiles(all)
}

func newCall(o *options) *cobra.Command {
	var token string
	c := &cobra.Command{
		Use:     "call contract/method ['<json>' | -]",
		Short:   "Call a method by contract",
		Example: "  warren call shop.catalog.v1.CatalogService/GetProduct '{\"sku\": \"85123A\"}'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := "{}"
			if len(args) == 2 {
				body = args[1]
			}
			if body == "-" {
				text, err := io.ReadAll(cmd.InOrStdin())
				if err != nil {
					return fmt.Errorf("read the request: %w", err)
				}
				body = string(text)
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

func (o *options) call(cmd *cobra.Command, method, body, token string) error {
	name, _, ok := strings.Cut(method, "/")
	if !ok {
		return fmt.Errorf("call %s: want contract/method, for instance shop.catalog.v1.CatalogService/GetProduct", method)
	}
	ctx := cmd.Context()
	g, err := o.visit(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	files, err := g.files(ctx, name)
	if err != nil {
		return err
	}
	m, err := findMethod(files, name, strings.TrimPrefix(method, name+"/"))
	if err != nil {
		return err
	}
	client, err := rpc.NewClient(rpc.ClientOptions{
		Registry: g.registry, Logger: slog.New(slog.DiscardHandler), Service: "warren", ServiceKey: g.key, Host: g.env.Host,
		Methods: func(string) *contract.Method { return m },
	})
	if err != nil {
		return err
	}
	defer client.Close()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.MetadataAuthorization, "Bearer "+token)
	}
	in := dynamicpb.NewMessage(m.Desc.Input())
	if err := (protojson.UnmarshalOptions{Resolver: dynamicpb.NewTypes(files)}).Unmarshal([]byte(body), in); err != nil {
		return fmt.Errorf("read the request as %s: %w", m.Desc.Input().FullName(), err)
	}
	return exchange(ctx, cmd.OutOrStdout(), client, m, in, dynamicpb.NewTypes(files))
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
		text, err := protojson.MarshalOptions{Multiline: true, Indent: "  ", Resolver: types}.Marshal(msg)
		if err != nil {
			return fmt.Errorf("print the answer: %w", err)
		}
		_, err = fmt.Fprintln(w, string(text))
		return err
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
	text := fmt.Sprintf("%s: %s", e.Code, e.Message)
	if e.Reason != "" {
		text += fmt.Sprintf(" (%s in %s)", e.Reason, e.Domain)
	}
	for _, v := range e.Violations {
		text += fmt.Sprintf("\n  %s: %s", v.Field, v.Description)
	}
	return errors.New(text)
}

func newRoutes(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "routes",
		Short: "List what the gateway routes where",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := o.visit(cmd.Context())
			if err != nil {
				return err
			}
			defer g.close()
			routes, err := g.routes(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), routes)
			}
			t := newTable(cmd.OutOrStdout(), "METHOD", "PATH", "ACCESS", "TARGET", "AVAILABLE")
			for _, r := range routes {
				t.row(r.Method, r.Pattern, r.Access, r.Target, strconv.FormatBool(r.Available))
			}
			return t.flush()
		},
	}
}

// route is one line of what a gateway shows.
type route struct {
	Method    string `json:"method"`
	Pattern   string `json:"pattern"`
	Access    string `json:"access"`
	Target    string `json:"target"`
	Available bool   `json:"available"`
}

// routes asks a gateway for its table.
func (g *guest) routes(ctx context.Context) ([]route, error) {
	for _, i := range g.registry.Snapshot().Instances {
		if i.Service != "gateway" || i.State != registry.Ready {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin+"/debug/policies", nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask the gateway for its routes: %w", err)
		}
		defer resp.Body.Close()
		var shown struct {
			Routes []route `json:"routes"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil {
			return nil, fmt.Errorf("read the gateway's routes: %w", err)
		}
		return shown.Routes, nil
	}
	return nil, errors.New("no gateway is ready; warren ps tells more")
}
