// Command kratos is the contestant built with Kratos, as its layout and its
// generators write it: an HTTP server with a route and a gRPC client behind
// it, recovery, tracing, metrics and the client's circuit breaker. Its logging,
// validation and rate limiting middlewares are left out, in its favour.
package main

import (
	"context"
	"errors"
	"strings"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/middleware/metrics"
	"github.com/go-kratos/kratos/v2/middleware/recovery"
	"github.com/go-kratos/kratos/v2/middleware/tracing"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/hop"
	"github.com/gowarren/warren/bench/internal/role"
)

func main() {
	log.SetLogger(log.NewFilter(log.GetLogger(), log.FilterLevel(log.LevelError)))
	role.Main(map[string]func(role.Flags) error{"service": service, "front": front, "hop": oneHop})
}

// observed are the middlewares of a server and of a client, over the
// OpenTelemetry SDK with an exporter each for traces and metrics.
func observed(f role.Flags) (server, client []middleware.Middleware, err error) {
	exporter, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(f.Traces))
	if err != nil {
		return nil, nil, err
	}
	otel.SetTracerProvider(sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(role.Sample))),
		sdktrace.WithBatcher(exporter),
	))
	reader, err := prometheus.New()
	if err != nil {
		return nil, nil, err
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader),
		sdkmetric.WithView(metrics.DefaultSecondsHistogramView(metrics.DefaultServerSecondsHistogramName)),
		sdkmetric.WithView(metrics.DefaultSecondsHistogramView(metrics.DefaultClientSecondsHistogramName)),
	).Meter("bench")
	var errs [4]error
	serverCount, err := metrics.DefaultRequestsCounter(meter, metrics.DefaultServerRequestsCounterName)
	errs[0] = err
	serverTime, err := metrics.DefaultSecondsHistogram(meter, metrics.DefaultServerSecondsHistogramName)
	errs[1] = err
	clientCount, err := metrics.DefaultRequestsCounter(meter, metrics.DefaultClientRequestsCounterName)
	errs[2] = err
	clientTime, err := metrics.DefaultSecondsHistogram(meter, metrics.DefaultClientSecondsHistogramName)
	errs[3] = err
	server = []middleware.Middleware{
		recovery.Recovery(), tracing.Server(),
		metrics.Server(metrics.WithRequests(serverCount), metrics.WithSeconds(serverTime)),
	}
	client = []middleware.Middleware{
		recovery.Recovery(), tracing.Client(),
		metrics.Client(metrics.WithRequests(clientCount), metrics.WithSeconds(clientTime)),
		circuitbreaker.Client(),
	}
	return server, client, errors.Join(errs[:]...)
}

func service(f role.Flags) error {
	middlewares, _, err := observed(f)
	if err != nil {
		return err
	}
	return newServer(f.Address, middlewares).Start(context.Background())
}

func newServer(address string, middlewares []middleware.Middleware) *kgrpc.Server {
	server := kgrpc.NewServer(kgrpc.Address(address), kgrpc.Middleware(middlewares...))
	catalogv1.RegisterCatalogServiceServer(server, catalog.New())
	return server
}

func dial(address string, middlewares []middleware.Middleware) (catalogv1.CatalogServiceClient, error) {
	conn, err := kgrpc.DialInsecure(context.Background(), kgrpc.WithEndpoint(address), kgrpc.WithMiddleware(middlewares...))
	if err != nil {
		return nil, err
	}
	return catalogv1.NewCatalogServiceClient(conn), nil
}

func front(f role.Flags) error {
	forServer, forClient, err := observed(f)
	if err != nil {
		return err
	}
	client, err := dial(f.Service, forClient)
	if err != nil {
		return err
	}
	server := khttp.NewServer(khttp.Address(f.Address), khttp.Middleware(forServer...))
	server.Route("/").GET("/v1/products/{id}", getProduct(client))
	return server.Start(context.Background())
}

// getProduct is what protoc-gen-go-http writes for the method, with the call
// of the service behind in place of an implementation.
func getProduct(client catalogv1.CatalogServiceClient) func(khttp.Context) error {
	return func(ctx khttp.Context) error {
		var in catalogv1.GetProductRequest
		if err := ctx.BindQuery(&in); err != nil {
			return err
		}
		if err := ctx.BindVars(&in); err != nil {
			return err
		}
		khttp.SetOperation(ctx, catalogv1.CatalogService_GetProduct_FullMethodName)
		h := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
			return client.GetProduct(ctx, req.(*catalogv1.GetProductRequest))
		})
		out, err := h(ctx, &in)
		if err != nil {
			return err
		}
		return ctx.Result(200, out)
	}
}

func oneHop(f role.Flags) error {
	forServer, forClient, err := observed(f)
	if err != nil {
		return err
	}
	server := newServer("127.0.0.1:0", forServer)
	endpoint, err := server.Endpoint()
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Start(context.Background()) }()
	client, err := dial(strings.TrimPrefix(endpoint.String(), "grpc://"), forClient)
	if err != nil {
		return err
	}
	err = hop.Serve(client)
	return errors.Join(err, server.Stop(context.Background()), <-failed)
}
