package console_test

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// someTopic is read by two groups, one of which is not well.
const someTopic = "shop.order.v1.OrderPlaced"

// madeUpEvents answers what is asked about events; ok is whether it was.
func madeUpEvents(query string) (out []*observev1.Sample, ok bool) {
	if strings.Contains(query, "label_replace") {
		return madeUpFigures(), true
	}
	if strings.Contains(query, "warren_rpc_faults_total") {
		labels := map[string]string{"kind": "latency", "rpc_method": "shop.payment.v1.PaymentService/Hold"}
		return []*observev1.Sample{{Labels: labels, Value: 7}}, true
	}
	if !strings.Contains(query, "messaging_") && !strings.Contains(query, "warren_events") && !strings.Contains(query, "by (service) (warren_outbox") &&
		!strings.Contains(query, "warren_dead_letters") {
		return nil, false
	}
	add := func(topic, service, group string, v float64) {
		labels := map[string]string{"service": service}
		for name, value := range map[string]string{"messaging_destination_name": topic, "messaging_consumer_group_name": group} {
			if value != "" && strings.Contains(query, name) {
				labels[name] = value
			}
		}
		if strings.Contains(query, ", outcome)") {
			labels["outcome"] = "done"
		}
		if topic == "" || !strings.Contains(query, "messaging_destination_name=") || strings.Contains(query, `"`+topic+`"`) {
			out = append(out, &observev1.Sample{Labels: labels, Value: v})
		}
	}
	const shipped, audited = "shop.shipping.v1.ShipmentShipped", "shop.payment.v1.WalletAudited"
	switch {
	case strings.Contains(query, "warren_outbox_pending"):
		add("", "order", "", 3)
		add("", "shipping", "", 0)
	case strings.Contains(query, "warren_outbox_age"):
		add("", "order", "", 0.21)
		add("", "shipping", "", 0)
	case strings.Contains(query, `error_type!=""`):
		add(audited, "payment", "", 0.2)
	case strings.Contains(query, "messaging_client_sent") && strings.Contains(query, "by (service)"):
		add("", "order", "", 4.2)
		add("", "shipping", "", 1.1)
	case strings.Contains(query, "messaging_client_sent"):
		add(someTopic, "order", "", 4.2)
		add(shipped, "shipping", "", 1.1)
		add(audited, "payment", "", 0)
	case strings.Contains(query, "warren_dead_letters"):
		add(someTopic, "notification", "notification", 6)
		add(audited, "payment", "", 1)
	case strings.Contains(query, "warren_events_retries"):
		add(someTopic, "notification", "notification", 12)
	default:
		value := func(a, b, c float64) {
			add(someTopic, "notification", "notification", a)
			add(someTopic, "shipping", "warehouse", b)
			add(shipped, "order", "order", c)
		}
		switch {
		case strings.Contains(query, "quantile"):
			value(0.41, 0.009, 0.006)
		case strings.Contains(query, "/ ("):
			value(0.18, 0, 0)
		case strings.Contains(query, "by (service, messaging_destination_name, messaging_consumer_group_name) (warren_events_lag"):
			value(240, 1, 0)
		default:
			value(3.1, 4.2, 1.1)
		}
	}
	return out, true
}

// madeUpCourse is how what was asked about events went on over time.
func madeUpCourse(req *observev1.QueryRangeRequest) ([]*observev1.Series, bool) {
	samples, ok := madeUpEvents(req.GetQuery())
	var out []*observev1.Series
	for i, sample := range samples {
		one := &observev1.Series{Labels: sample.GetLabels()}
		for at := req.GetStart().AsTime(); at.Before(req.GetEnd().AsTime()); at = at.Add(req.GetStep().AsDuration()) {
			wave := valueOf("", i, float64(at.Unix())) / float64(12*(i+1))
			one.Points = append(one.Points, &observev1.Point{Time: timestamppb.New(at), Value: sample.GetValue() * wave})
		}
		out = append(out, one)
	}
	return out, ok
}
