// Command gozero is the contestant built with go-zero, as goctl writes it: a
// rest server whose logic calls a zrpc service, with all middlewares that are
// on by default, which include an access log on both sides.
package main

import (
	"fmt"
	"net"
	"net/http"

	"github.com/zeromicro/go-zero/core/conf"
	"github.com/zeromicro/go-zero/rest"
	"github.com/zeromicro/go-zero/rest/httpx"
	"github.com/zeromicro/go-zero/zrpc"
	"google.golang.org/grpc"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/hop"
	"github.com/gowarren/warren/bench/internal/role"
)

func main() {
	role.Main(map[string]func(role.Flags) error{"service": service, "front": front, "hop": oneHop})
}

// common is the part of the configuration that both sides share. Traces are
// sampled like everybody's, and the load shedder may not act before the
// processor is saturated altogether: a closed loop of clients saturates it,
// and refusals are no answers. What it costs stays in.
func common(f role.Flags) (string, error) {
	host, port, err := split("127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`
Name: catalog
CpuThreshold: 999
Telemetry: {Endpoint: %q, Sampler: %g, Batcher: otlpgrpc}
DevServer: {Host: %q, Port: %d}
`, f.Traces, role.Sample, host, port), nil
}

// split returns an address in parts, with a free port in place of 0.
func split(address string) (host string, port int, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", 0, fmt.Errorf("find a port: %w", err)
	}
	at := l.Addr().(*net.TCPAddr)
	return at.IP.String(), at.Port, l.Close()
}

func service(f role.Flags) error {
	server, err := newServer(f)
	if err != nil {
		return err
	}
	defer server.Stop()
	server.Start()
	return nil
}

func newServer(f role.Flags) (*zrpc.RpcServer, error) {
	text, err := common(f)
	if err != nil {
		return nil, err
	}
	var c zrpc.RpcServerConf
	if err := conf.LoadFromYamlBytes([]byte(text+"ListenOn: "+f.Address+"\n"), &c); err != nil {
		return nil, err
	}
	return zrpc.NewServer(c, func(s *grpc.Server) {
		catalogv1.RegisterCatalogServiceServer(s, catalog.New())
	})
}

func dial(address string) (catalogv1.CatalogServiceClient, error) {
	var c zrpc.RpcClientConf
	if err := conf.LoadFromYamlBytes([]byte("Endpoints: ["+address+"]\n"), &c); err != nil {
		return nil, err
	}
	client, err := zrpc.NewClient(c)
	if err != nil {
		return nil, err
	}
	return catalogv1.NewCatalogServiceClient(client.Conn()), nil
}

func front(f role.Flags) error {
	client, err := dial(f.Service)
	if err != nil {
		return err
	}
	text, err := common(f)
	if err != nil {
		return err
	}
	host, port, err := split(f.Address)
	if err != nil {
		return err
	}
	var c rest.RestConf
	if err := conf.LoadFromYamlBytes(fmt.Appendf(nil, "%sHost: %s\nPort: %d\n", text, host, port), &c); err != nil {
		return err
	}
	server, err := rest.NewServer(c)
	if err != nil {
		return err
	}
	defer server.Stop()
	server.AddRoute(rest.Route{Method: http.MethodGet, Path: "/v1/products/:id", Handler: getProduct(client)})
	server.Start()
	return nil
}

type getProductReq struct {
	ID string `path:"id"`
}

// product is the answer's type as goctl writes it; 64-bit integers are text,
// as in the JSON mapping of protobuf that the others speak.
type product struct {
	ID          string   `json:"id"`
	Sku         string   `json:"sku"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Category    string   `json:"category"`
	Currency    string   `json:"currency"`
	Price       int64    `json:"price,string"`
	Stock       int32    `json:"stock"`
	Rating      float64  `json:"rating"`
	Tags        []string `json:"tags"`
}

func getProduct(client catalogv1.CatalogServiceClient) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req getProductReq
		if err := httpx.Parse(r, &req); err != nil {
			httpx.ErrorCtx(r.Context(), w, err)
			return
		}
		p, err := client.GetProduct(r.Context(), &catalogv1.GetProductRequest{Id: req.ID})
		if err != nil {
			httpx.ErrorCtx(r.Context(), w, err)
			return
		}
		httpx.OkJsonCtx(r.Context(), w, &product{
			ID: p.Id, Sku: p.Sku, Name: p.Name, Description: p.Description, Category: p.Category,
			Currency: p.Currency, Price: p.Price, Stock: p.Stock, Rating: p.Rating, Tags: p.Tags,
		})
	}
}

func oneHop(f role.Flags) error {
	host, port, err := split("127.0.0.1:0")
	if err != nil {
		return err
	}
	f.Address = fmt.Sprintf("%s:%d", host, port)
	server, err := newServer(f)
	if err != nil {
		return err
	}
	go server.Start()
	defer server.Stop()
	client, err := dial(f.Address)
	if err != nil {
		return err
	}
	return hop.Serve(client)
}
