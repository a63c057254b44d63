// Command plain is the yardstick: net/http, protojson and grpc-go with their
// defaults and nothing else. No limits, no traces, no metrics, no deadlines.
package main

import (
	"errors"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/hop"
	"github.com/gowarren/warren/bench/internal/role"
)

func main() {
	role.Main(map[string]func(role.Flags) error{"service": service, "front": front, "hop": oneHop})
}

func service(f role.Flags) error {
	l, err := role.Listen(f.Address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	catalogv1.RegisterCatalogServiceServer(server, catalog.New())
	return server.Serve(l)
}

func dial(address string) (catalogv1.CatalogServiceClient, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return catalogv1.NewCatalogServiceClient(conn), nil
}

func front(f role.Flags) error {
	client, err := dial(f.Service)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/products/{id}", func(w http.ResponseWriter, r *http.Request) {
		product, err := client.GetProduct(r.Context(), &catalogv1.GetProductRequest{Id: r.PathValue("id")})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		body, err := protojson.Marshal(product)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	return http.ListenAndServe(f.Address, mux)
}

func oneHop(f role.Flags) error {
	l, err := role.Listen(f.Address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	catalogv1.RegisterCatalogServiceServer(server, catalog.New())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	target := l.Addr().String()
	if l.Addr().Network() == "unix" {
		target = "unix:" + target
	}
	client, err := dial(target)
	if err != nil {
		return err
	}
	err = hop.Serve(client)
	server.Stop()
	return errors.Join(err, <-failed)
}
