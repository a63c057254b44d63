package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"github.com/gowarren/warren/internal/reflected"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/registry"
)

// What is read together is saved together: a start with many services must not
// write everything that is known for each of them.
func TestContractsThatAreReadTogetherAreSavedOnce(t *testing.T) {
	engine := newMemory()
	reg := registry.New(engine, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { _ = reg.Close() })
	server := grpc.NewServer()
	libraryv1.RegisterLibraryServiceServer(server, &library{})
	reflection.Register(server)
	l := listen(t)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	const services = 50
	for i := range services {
		_ = engine.Put(context.Background(), registry.Instance{ID: strconv.Itoa(i), Service: fmt.Sprint("library", i), Weight: 100,
			Address: l.Addr().String(), Contracts: []string{"library.v1.LibraryService"}, State: registry.Ready})
	}
	changes, stop := reg.Watch()
	defer stop()
	for len(reg.Snapshot().Instances) < services {
		<-changes
	}
	// Nothing can be saved below a file, and each try is a line in the log.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	c := newCatalogue(reg, &reflected.Reader{}, filepath.Join(file, "contracts"), slog.New(slog.NewTextHandler(log, nil)), func() {})
	if !c.read(t.Context()) || c.method("/library.v1.LibraryService/GetBook") == nil {
		t.Error("not everything was read")
	}
	c.read(t.Context()) // and nothing new
	if n := strings.Count(log.String(), "contracts not saved"); n != 1 {
		t.Errorf("saved %d times", n)
	}
}
