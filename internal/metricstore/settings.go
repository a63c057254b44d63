package metricstore

import (
	"time"

	"github.com/gowarren/warren/config"
)

const mib = 1 << 20

var (
	settingRetention = config.Duration("metrics.retention", DefaultLimits().Retention, 2*time.Hour, 5*365*24*time.Hour,
		"how long metrics are kept")
	settingMaxSize = config.Int("metrics.max_size", int(DefaultLimits().MaxBytes/mib), 16, 1<<20,
		"How many MiB the metrics may take on disk; the oldest are dropped first. The latest two hours come on top.")
	settingScrape = config.Duration("metrics.scrape.interval", DefaultLimits().ScrapeInterval, 100*time.Millisecond, 5*time.Minute,
		"How often instances are asked for their metrics. New ones are asked each second until it is their turn.")
	settingSampleLimit = config.Int("metrics.scrape.series", DefaultLimits().SampleLimit, 100, 1_000_000,
		"How many series one instance may show. One that shows more counts as down.")
	settingNewSeries = config.Int("metrics.scrape.new_series", DefaultLimits().NewSeries, 100, 10_000_000,
		"How many series one instance may begin within an hour. Further ones are not stored.")
	settingReserve = config.Int("metrics.reserve", int(DefaultLimits().Reserve/mib), 1, 1<<20,
		"How many MiB of the disk are left to the services: with less free, no metrics are stored.")
	settingEvaluation = config.Duration("metrics.rules.interval", DefaultLimits().EvaluationInterval, 100*time.Millisecond, 10*time.Minute,
		"how often rules are evaluated")
	settingTimeout = config.Duration("metrics.query.timeout", DefaultLimits().QueryTimeout, 10*time.Millisecond, 10*time.Minute,
		"how long a question to the metrics may take")
	settingSamples = config.Int("metrics.query.samples", DefaultLimits().MaxSamples, 1000, 1<<31-1,
		"how many samples a question to the metrics may hold in memory")
	settingPoints = config.Int("metrics.query.points", DefaultLimits().MaxPoints, 10, 1_000_000,
		"how many points each series of an answer may have")
	settingSeries = config.Int("metrics.query.series", DefaultLimits().MaxSeries, 10, 1_000_000,
		"How many series or names an answer may have. It is cut off there, with a warning.")
	settingConcurrent = config.Int("metrics.query.concurrent", DefaultLimits().Concurrent, 1, 1000,
		"how many questions to the metrics are worked on at once; further ones are refused")
)

// Definitions are the settings that limits come from.
func Definitions() []config.Definition {
	return []config.Definition{
		settingRetention.Definition(), settingMaxSize.Definition(), settingScrape.Definition(), settingSampleLimit.Definition(),
		settingNewSeries.Definition(), settingReserve.Definition(),
		settingEvaluation.Definition(), settingTimeout.Definition(), settingSamples.Definition(), settingPoints.Definition(),
		settingSeries.Definition(), settingConcurrent.Definition(),
	}
}

// WatchLimits returns the limits in force whenever it is called.
func WatchLimits(s *config.Settings) func() Limits {
	retention, size := config.Watch(s, settingRetention, config.Scope{}), config.Watch(s, settingMaxSize, config.Scope{})
	scrape, series := config.Watch(s, settingScrape, config.Scope{}), config.Watch(s, settingSampleLimit, config.Scope{})
	begun, reserve := config.Watch(s, settingNewSeries, config.Scope{}), config.Watch(s, settingReserve, config.Scope{})
	evaluation, timeout := config.Watch(s, settingEvaluation, config.Scope{}), config.Watch(s, settingTimeout, config.Scope{})
	samples, points := config.Watch(s, settingSamples, config.Scope{}), config.Watch(s, settingPoints, config.Scope{})
	answer, concurrent := config.Watch(s, settingSeries, config.Scope{}), config.Watch(s, settingConcurrent, config.Scope{})
	return func() Limits {
		return Limits{
			Retention: retention.Get(), MaxBytes: int64(size.Get()) * mib, ScrapeInterval: scrape.Get(), SampleLimit: series.Get(),
			NewSeries: begun.Get(), Reserve: int64(reserve.Get()) * mib,
			EvaluationInterval: evaluation.Get(), QueryTimeout: timeout.Get(), MaxSamples: samples.Get(), MaxPoints: points.Get(),
			MaxSeries: answer.Get(), Concurrent: concurrent.Get(),
		}
	}
}
