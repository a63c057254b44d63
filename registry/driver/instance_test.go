package driver_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/gowarren/warren/registry/driver"
)

// Equal must not forget a field that is added one day.
func TestEqualSeesEveryField(t *testing.T) {
	fields := reflect.TypeFor[driver.Instance]()
	for i := range fields.NumField() {
		var changed driver.Instance
		field := reflect.ValueOf(&changed).Elem().Field(i)
		switch value := field.Addr().Interface().(type) {
		case *[]string:
			*value = []string{"x"}
		case *[]driver.Route:
			*value = []driver.Route{{Pattern: "/"}}
		case *map[string]string:
			*value = map[string]string{"k": "v"}
		default:
			switch {
			case field.CanInt():
				field.SetInt(1)
			case field.Kind() == reflect.String:
				field.SetString("x")
			case field.Kind() == reflect.Bool:
				field.SetBool(true)
			default:
				changed.Started = changed.Started.AddDate(1, 0, 0)
			}
		}
		if changed.Equal(driver.Instance{}) {
			t.Errorf("a change of %s is not seen", fields.Field(i).Name)
		}
	}
}

// The least that a program in another language has to write.
func ExampleInstance() {
	text, err := json.Marshal(driver.Instance{
		ID: "catalog/1", Service: "catalog", Address: "10.0.0.7:9000",
		Contracts: []string{"shop.catalog.v1.CatalogService"}, State: driver.Ready,
	})
	fmt.Println(string(text), err)
	// Output: {"id":"catalog/1","service":"catalog","address":"10.0.0.7:9000","contracts":["shop.catalog.v1.CatalogService"],"state":"ready"} <nil>
}
