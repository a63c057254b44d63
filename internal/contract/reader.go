package contract

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
)

// reader turns descriptors into contracts and collects what is wrong.
type reader struct {
	problems Problems
	routes   map[string]*Method // by HTTP method and shape
}

func (r *reader) report(d protoreflect.Descriptor, remedy, message string, args ...any) {
	r.problems = append(r.problems, At(d, fmt.Sprintf(message, args...), remedy))
}

func (r *reader) service(sd protoreflect.ServiceDescriptor) *Service {
	options := extension[*descriptorpb.ServiceOptions, *warrenv1.ServiceOptions](sd, warrenv1.E_Service)
	json := options.GetJson()
	s := &Service{
		Name: string(sd.FullName()),
		JSON: JSON{ZeroValues: json.GetZeroValues(), EnumNumbers: json.GetEnumNumbers(), Int64Numbers: json.GetInt64Numbers()},
		Desc: sd,
	}
	for i := range sd.Methods().Len() {
		s.Methods = append(s.Methods, r.method(sd.Methods().Get(i)))
	}
	for _, m := range s.Methods {
		r.checkPartners(s, m)
	}
	return s
}

func (r *reader) method(md protoreflect.MethodDescriptor) *Method {
	m := &Method{
		FullName: fullName(md), Service: string(md.Parent().FullName()), Name: string(md.Name()),
		ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
		Desc: md,
	}
	options, err := resolve(md.Options(), &descriptorpb.MethodOptions{})
	if err != nil {
		r.report(md, "compile the contract again", "its options cannot be read: %v", err)
		return m
	}
	r.policy(m, options)
	if rule, _ := proto.GetExtension(options, annotations.E_Http).(*annotations.HttpRule); rule != nil {
		r.httpRule(m, rule)
	}
	r.checkAccess(m)
	r.checkPolicy(m)
	return m
}

func (r *reader) policy(m *Method, options *descriptorpb.MethodOptions) {
	o, _ := proto.GetExtension(options, warrenv1.E_Method).(*warrenv1.MethodOptions)
	m.Safe = options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	m.Idempotent = m.Safe || options.GetIdempotencyLevel() == descriptorpb.MethodOptions_IDEMPOTENT
	m.Access, m.Roles = accessOf(o.GetAccess()), o.GetRoles()
	m.IdempotencyKey = keyModeOf(o.GetIdempotencyKey())
	m.Priority = priorityOf(o.GetPriority())
	m.Compensate, m.Confirm, m.Cancel = o.GetCompensate(), o.GetConfirm(), o.GetCancel()
	if o.GetTimeout() != "" {
		m.Timeout = r.duration(m, "the timeout", o.GetTimeout())
	}
	if c := o.GetCache(); c != nil {
		m.Cache = &Cache{MaxAge: r.duration(m, "the cache's max_age", c.GetMaxAge()), Shared: c.GetShared()}
	}
	for _, l := range o.GetRateLimits() {
		m.RateLimits = append(m.RateLimits, r.rateLimit(m, l))
	}
}

func (r *reader) duration(m *Method, what, text string) time.Duration {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		r.report(m.Desc, `write a number and a unit, such as "250ms" or "2s"`, "%s %q is not a duration", what, text)
	case d <= 0:
		r.report(m.Desc, `write a duration above zero, such as "250ms" or "2s"`, "%s is %s", what, text)
	}
	return max(d, 0)
}

func (r *reader) rateLimit(m *Method, l *warrenv1.RateLimit) RateLimit {
	out := RateLimit{
		By: limitByOf(l.GetBy()), Field: l.GetField(), Per: time.Second,
		Requests: int(l.GetRequests()), Burst: int(l.GetBurst()),
	}
	if l.GetPer() != "" {
		out.Per = r.duration(m, "a rate limit's period", l.GetPer())
	}
	if out.Requests == 0 {
		r.report(m.Desc, "say how many requests it allows per period", "a rate limit allows no request at all")
	}
	if out.Burst == 0 {
		out.Burst = out.Requests
	}
	r.checkLimitField(m, out)
	return out
}

func (r *reader) checkLimitField(m *Method, l RateLimit) {
	switch {
	case l.By != ByField && l.Field != "":
		r.report(m.Desc, "write by: BY_FIELD, or leave the field out", "a rate limit names the field %s and does not limit by it", l.Field)
	case l.By != ByField:
	case l.Field == "":
		r.report(m.Desc, "name a field of the request", "a rate limit by field names none")
	default:
		if err := scalar(m.Desc.Input(), l.Field); err != nil {
			r.report(m.Desc, "name a field that holds one plain value", "a rate limit is by a field that cannot be one: %v", err)
		}
	}
}
