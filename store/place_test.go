package store

import (
	"fmt"
	"testing"
)

// Each server and each file has its name in spans, and nobody's password.
func TestPlace(t *testing.T) {
	for address, want := range map[string]string{
		"sqlite:" + t.TempDir() + "/order.db":              "[db.system.name=sqlite db.namespace=order.db]",
		"postgres://me:hunter2@db.example.com/shop":        "[db.system.name=postgresql db.namespace=shop server.address=db.example.com server.port=5432]",
		"mysql://me:hunter2@db.example.com/shop":           "[db.system.name=mysql db.namespace=shop server.address=db.example.com server.port=3306]",
		"mysql://me:hunter2@x/shop?socket=/run/mysql.sock": "[db.system.name=mysql db.namespace=shop server.address=/run/mysql.sock]",
	} {
		db, err := Open(t.Context(), address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var place []string
		for _, kv := range db.engine.place {
			place = append(place, string(kv.Key)+"="+kv.Value.String())
		}
		if got := fmt.Sprint(place); got != want {
			t.Errorf("%s: %s, want %s", db.engine.dialect, got, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
