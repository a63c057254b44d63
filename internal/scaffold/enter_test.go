package scaffold

import (
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/system"
)

func TestAddService(t *testing.T) {
	const entry = "greeting: {path: ./greeting}\n"
	tests := map[string]struct{ text, want string }{
		"nothing yet":       {"system: x\nservices:\n", "system: x\nservices:\n  " + entry},
		"no line end":       {"system: x\nservices:", "system: x\nservices:\n  " + entry},
		"blocks behind":     {"system: x\nservices:\n\ngateway: {address: :80}\n", "system: x\nservices:\n  " + entry + "\ngateway: {address: :80}\n"},
		"after the others":  {"system: x\nservices:\n  a: {path: ./a}\n\n# edge\ngateway: {}\n", "system: x\nservices:\n  a: {path: ./a}\n  " + entry + "\n# edge\ngateway: {}\n"},
		"deep entries":      {"system: x\nservices:\n    a:\n        path: ./a\n", "system: x\nservices:\n    a:\n        path: ./a\n    " + entry},
		"last without end":  {"system: x\nservices:\n  a: {path: ./a}", "system: x\nservices:\n  a: {path: ./a}\n  " + entry},
		"comment behind":    {"system: x\nservices:   # all\n  a: {path: ./a} # one\n", "system: x\nservices:   # all\n  a: {path: ./a} # one\n  " + entry},
		"empty braces":      {"system: x\nservices: {} # none\n", "system: x\nservices: # none\n  " + entry},
		"comment at margin": {"system: x\nservices:\n  a: {path: ./a}\n# b\n  b: {path: ./b}\n", "system: x\nservices:\n  a: {path: ./a}\n# b\n  b: {path: ./b}\n  " + entry},
		"environments too":  {"system: x\nenvironments:\n  p:\n    services:\n      a: {path: ./z}\nservices:\n  a: {path: ./a}\n", "system: x\nenvironments:\n  p:\n    services:\n      a: {path: ./z}\nservices:\n  a: {path: ./a}\n  " + entry},
		"line ends of DOS":  {"system: x\r\nservices:\r\n  a: {path: ./a}\r\n", "system: x\r\nservices:\r\n  a: {path: ./a}\r\n  " + entry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := addService(tt.text, "greeting", "./greeting")
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			sys, err := system.Parse("warren.yaml", []byte(got), "")
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := sys.Service("greeting"); !ok {
				t.Errorf("the system has no service greeting: %+v", sys.Services)
			}
		})
	}
}

func TestAddServiceRefusesWhatItWouldHaveToRewrite(t *testing.T) {
	for _, text := range []string{"system: x\n", "system: x\nservices: {a: {path: ./a}}\n", "system: x\n\"services\":\n  a: {path: ./a}\n"} {
		s := Service{Name: "greeting", File: "warren.yaml", Dir: "greeting"}
		err := s.enter(text)
		if err == nil || !strings.Contains(err.Error(), "greeting: {path: ./greeting}") {
			t.Errorf("%q: got %v, want what to write by hand", text, err)
		}
	}
}

func TestSystemName(t *testing.T) {
	for path, want := range map[string]string{
		"example.com/myshop": "myshop", "example.com/My_Shop": "my-shop", "example.com/shop/v2": "shop",
		"shop.example.com": "shop-example-com", "example.com/3d-print": "d-print", "example.com/42": "system",
	} {
		if got := systemName(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
