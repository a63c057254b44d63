package config

// Resolve tells what a setting comes to in a place, in a process of the service
// own, of what the centre and the system file say; contract is the contract's
// value there, empty if it has none. The entry's scope is where the layer that
// wins says it. A value that is refused leaves the word to the layer below, as in
// a process that starts now.
func (d Definition) Resolve(place Scope, own, contract string, centre []Entry, file FileLayer) Entry {
	out := Entry{Name: d.Name, Value: d.Default, Source: "default", Secret: d.Secret}
	if contract != "" && d.Check(contract) == nil {
		out.Value, out.Source, out.Scope = contract, "contract", Scope{Method: place.Method}
	}
	below := make([]Entry, 0, len(file.Entries))
	for _, e := range file.Entries {
		below = append(below, Entry{Name: e.Name, Scope: e.Scope, Value: e.Value, Source: "file", Position: e.Position})
	}
	covering := place.covering(own)
	for _, layer := range [][]Entry{below, centre} {
		e, ok := narrowest(layer, d.Name, covering)
		if !ok {
			continue
		}
		if err := d.Check(e.Value); err != nil {
			out.Problem = err.Error()
			continue
		}
		e.Secret, e.Problem = d.Secret, ""
		out = e
	}
	return out.redact()
}

// narrowest is the entry in the first of the scopes that has one.
func narrowest(entries []Entry, name string, scopes []Scope) (Entry, bool) {
	for _, s := range scopes {
		for _, e := range entries {
			if e.Name == name && e.Scope == s {
				return e, true
			}
		}
	}
	return Entry{}, false
}
