package system

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/gowarren/warren/config"
)

// readSettings reads name: value pairs of settings. Whether the names exist
// and the values fit is for whoever knows the definitions: config.FileLayer.Check.
func (d *draft) readSettings(v value, scope config.Scope) {
	d.each(v, func(name string, at, v value) {
		switch v.node.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			d.reportf(at, "write "+name+".…: value in one line", "settings are not nested")
			return
		}
		text, ok := d.text(v)
		if !ok {
			return
		}
		entry := config.FileEntry{Name: name, Scope: scope, Value: text, Position: d.position(v)}
		key := settingKey{name, scope}
		if i, ok := d.settings[key]; ok {
			d.s.Settings.Entries[i] = entry // the environment's word is the last
			return
		}
		d.settings[key] = len(d.s.Settings.Entries)
		d.s.Settings.Entries = append(d.s.Settings.Entries, entry)
	})
}

func (d *draft) readMethods(v value) {
	d.each(v, func(method string, at, v value) {
		scope, err := config.ParseScope(method)
		if err != nil || scope.Method == "" {
			d.reportf(at, "write /package.Service/Method", "%q is not a method", method)
			return
		}
		d.readSettings(v, scope)
	})
}
