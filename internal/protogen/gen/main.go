// Command gen writes the Go code of the contracts below the folders given,
// beside them.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/gowarren/warren/internal/protogen"
)

func main() {
	for _, root := range os.Args[1:] {
		if err := generate(root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func generate(root string) error {
	files, err := protogen.Generate(context.Background(), root, protogen.GoPlugins())
	if err != nil {
		return err
	}
	return protogen.Write(root, files)
}
