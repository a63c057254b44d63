package system

import "strings"

// places are what a URL of an engine may leave open.
var places = [...]string{"system", "environment", "service", "data"}

// Places fill the templates of Engines.
type Places struct {
	Service string // the service that opens the engine
	Data    string // the system's data folder
}

// Expand returns the engine's URL for one service: {system}, {environment},
// {service} and {data} are replaced by what they name.
func (s *System) Expand(template string, in Places) string {
	return strings.NewReplacer(
		"{system}", s.Name,
		"{environment}", s.Environment,
		"{service}", in.Service,
		"{data}", in.Data,
	).Replace(template)
}
