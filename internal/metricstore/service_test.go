package metricstore_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/metricstore"
)

// Who asks for everything gets as much as can be sent, and is told that it is not all.
func TestAnswersCanBeSent(t *testing.T) {
	const series, points, most = 9000, 40, 4 << 20
	s := open(t, metricstore.Options{})
	defer closed(t, s)
	now := time.Now().Truncate(time.Second)
	all := make([]metricstore.Series, series)
	for n := range all {
		all[n].Labels = map[string]string{"__name__": "m", "n": strings.Repeat("x", 500) + strconv.Itoa(n)}
		for back := points - 1; back >= 0; back-- {
			all[n].Points = append(all[n].Points, metricstore.Point{Time: now.Add(-time.Duration(back) * time.Second), Value: float64(n)})
		}
	}
	if err := s.Append(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	service := s.Service()
	from, to := timestamppb.New(now.Add(-points*time.Second)), timestamppb.New(now)
	vector, err := service.Query(t.Context(), &observev1.QueryRequest{Query: "m", Time: to})
	if err != nil || proto.Size(vector) > most || len(vector.GetSamples()) == 0 || len(vector.GetWarnings()) != 1 {
		t.Errorf("vector: %d samples, %d bytes, %v, %v", len(vector.GetSamples()), proto.Size(vector), vector.GetWarnings(), err)
	}
	matrix, err := service.Query(t.Context(), &observev1.QueryRequest{Query: "m[1m]", Time: to})
	if err != nil || proto.Size(matrix) > most || len(matrix.GetSeries()) == 0 || len(matrix.GetWarnings()) == 0 {
		t.Errorf("matrix: %d series, %d bytes, %v, %v", len(matrix.GetSeries()), proto.Size(matrix), matrix.GetWarnings(), err)
	}
	ranged, err := service.QueryRange(t.Context(), &observev1.QueryRangeRequest{Query: "m", Start: from, End: to, Step: durationpb.New(time.Second)})
	if err != nil || proto.Size(ranged) > most || len(ranged.GetSeries()) == 0 || len(ranged.GetWarnings()) == 0 {
		t.Errorf("range: %d series, %d bytes, %v, %v", len(ranged.GetSeries()), proto.Size(ranged), ranged.GetWarnings(), err)
	}
	sets, err := service.Series(t.Context(), &observev1.SeriesRequest{Selectors: []string{"m"}})
	if err != nil || proto.Size(sets) > most || len(sets.GetSeries()) == 0 || !sets.GetCut() {
		t.Errorf("series: %d, %d bytes, cut %v, %v", len(sets.GetSeries()), proto.Size(sets), sets.GetCut(), err)
	}
	values, err := service.LabelValues(t.Context(), &observev1.LabelValuesRequest{Label: "n"})
	if err != nil || proto.Size(values) > most || len(values.GetValues()) == 0 || !values.GetCut() {
		t.Errorf("values: %d, %d bytes, cut %v, %v", len(values.GetValues()), proto.Size(values), values.GetCut(), err)
	}
}
