package main

import "strings"

// shelves sorts products into categories by the words of their names. The
// source of the catalogue has no categories; these are read from the names and
// no better than that. The first line that has a word of the name decides, so
// what a thing is for stands before what it looks like: a Christmas candle is
// for Christmas. What no line knows is in "Other Gifts". Staff may put each
// product where it belongs; an import leaves it there.
var shelves = shelved([]shelf{
	{"Christmas", "christmas xmas advent reindeer santa snowflake snowman bauble nativity mistletoe robin"},
	{"Party", "party birthday balloon bunting confetti invite parade streamer candyfloss"},
	{"Jewellery", "necklace bracelet earring brooch bangle choker pendant diamante bling charm hair ring m.o.p gemstone"},
	{"Bags and Purses", "bag tote shopper purse handbag satchel suitcase luggage rucksack wallet"},
	{"Stationery and Cards", `card notebook notepad pen pencil paper wrap sticker tape ribbon tag envelope stamp postcard sketchbook
		journal calendar eraser ruler sharpener tissue stationery letter recipe chalk album scrapbook passport pad`},
	{"Toys and Games", `toy game jigsaw puzzle doll dolly marble skipping puppet harmonica domino kite teddy helicopter playhouse
		ball craft feltcraft paint knitting sewing spaceboy block magic drawing dinosaur circus glider quoit baby robot`},
	{"Candles and Lights", `candle t-light tlight tealight lantern light lamp lampshade candlestick candleholder incense match
		torch chandelier nightlight pillar votive`},
	{"Kitchen and Table", `mug cup saucer teapot tea coffee plate bowl spoon fork cutlery knife cake cakestand baking kitchen apron
		tray jar tin jug glass napkin placemat coaster egg bread toast lunch bottle dish pan oven recipe food cookie biscuit
		breakfast dinner jam jelly mould bake measuring rolling pudding tablecloth doily doilies straw tumbler cosy beaker
		cutter scale fridge picnic sugar butter salt pepper cruet server table popcorn ladle grater corkscrew chopstick`},
	{"Bath and Body", "bath bathroom soap towel flannel plaster manicure perfume cosmetic toothbrush shower warmer hottie hot sponge"},
	{"Garden and Outdoors", `garden plant watering herb seed flowerpot pot umbrella parasol bird birdhouse greenhouse trowel shed
		outdoor windmill bench thermometer`},
	{"Home and Storage", `clock sign frame hook cushion mirror doormat doorstop drawer cabinet box basket rack hanger knob shelf bin
		storage stand chest chair stool door wall throw quilt rug curtain cover draught picture photo peg tidy holder magnet
		blackboard memoboard bank key trinket crate trunk ladder table vase bucket keepsake bookend noticeboard`},
	{"Decorations", `decoration garland wreath hanging heart ornament bell star wicker feather flower rose bird butterfly angel
		figurine chain honeycomb dove mobile`},
})

const otherGifts = "Other Gifts"

type shelf struct{ name, words string }

// shelved returns which words say which categories, and how early they stand.
func shelved(list []shelf) map[string]place {
	out := map[string]place{}
	for i, s := range list {
		for word := range strings.FieldsSeq(s.words) {
			if _, taken := out[word]; !taken {
				out[word] = place{order: i, category: s.name}
			}
		}
	}
	return out
}

type place struct {
	order    int
	category string
}

// categoryOf returns the category that a name tells.
func categoryOf(name string) string {
	best := place{order: len(shelves), category: otherGifts}
	// Compounds with a hyphen or point are one word here.
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune(" ,/+&()\"", r) }) {
		word = strings.Trim(word, ".-'!?:;")
		for _, form := range []string{word, strings.TrimSuffix(word, "s"), strings.TrimSuffix(word, "es")} {
			if found, ok := shelves[form]; ok && found.order < best.order {
				best = found
			}
		}
	}
	return best.category
}
