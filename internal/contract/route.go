package contract

// Route is one place of a method in REST.
type Route struct {
	Method       string // "GET"
	Pattern      string // as the contract writes it: "/v1/products/{sku}"
	Body         string // the request field in the body, "*" for all that the path leaves; empty: no body
	ResponseBody string // the response field that is the body; empty: the whole response
	Template     Template
}
