package picture

import "strings"

// shapes say which words of a product's name are drawn as what. The first line
// that has a word of the name decides: what a thing is stands before what is
// on it.
var shapes = [...][2]string{
	{"bunting", "bunting garland flags pennant"},
	{"umbrella", "umbrella parasol"},
	{"lantern", "lantern lanterns"},
	{"tlight", "t-light t-lights tlight tealight votive nightlight"},
	{"lights", "lights fairylights"},
	{"candle", "candle candles candlestick candleholder incense light lamp lampshade torch chandelier"},
	{"lunchbox", "lunch lunchbox snack"},
	{"bottle", "bottle bottles warmer warmers hottie flask thermos"},
	{"teapot", "teapot tea kettle"},
	{"mug", "mug mugs cup cups beaker tumbler saucer egg coffee"},
	{"jar", "jar jars jam jelly honey pickle preserve marmalade"},
	{"cakestand", "cakestand cakestands"},
	{"cake", "cake cakes cupcake muffin fairy pudding baking bake bakery patty"},
	{"tin", "tin tins caddy canister bin bucket"},
	{"plate", "plate plates saucers tray trays platter coaster coasters placemat placemats"},
	{"bowl", "bowl bowls dish dishes jug mixing salad mould moulds pan"},
	{"cutlery", "cutlery fork forks spoon spoons knife knives server ladle measuring scales grater whisk straws chopsticks"},
	{"apron", "apron aprons oven glove gloves towel towels"},
	{"purse", "purse purses wallet"},
	{"suitcase", "suitcase suitcases luggage trunk passport"},
	{"bag", "bag bags shopper tote handbag satchel rucksack backpack"},
	{"clock", "clock clocks watch"},
	{"frame", "frame frames photo picture mirror mirrors album painting canvas"},
	{"cushion", "cushion cushions pillow quilt throw cover seat"},
	{"mat", "doormat doormats mat mats rug rugs carpet doorstop"},
	{"house", "house birdhouse birdbox cottage shed playhouse nesting"},
	{"drawers", "drawer drawers cabinet chest cupboard knob knobs bookcase desk"},
	{"hook", "hook hooks hanger hangers rack peg pegs holder holders"},
	{"chair", "chair chairs stool bench deckchair"},
	{"basket", "basket baskets wicker hamper crate"},
	{"sign", "sign signs plaque blackboard chalkboard memoboard noticeboard slate board metal"},
	{"notebook", "notebook notebooks notepad journal diary book books sketchbook calendar recipe"},
	{"pencil", "pencil pencils pen pens crayons chalk sharpener ruler eraser paint brush"},
	{"card", "card cards postcard envelope envelopes letter stamp stamps invite invites stationery"},
	{"spool", "sewing thread spool reel knitting kit felt feltcraft button needle tape wool"},
	{"bow", "ribbon ribbons bow bows tie scarf hair headband"},
	{"doll", "doll dolly dolls babushka matryoshka russian girl ballerina princess angel"},
	{"rocket", "spaceboy space rocket robot astronaut"},
	{"game", "game games dice dominoes puzzle jigsaw cards snakes ludo chess solitaire"},
	{"blocks", "block blocks toy toys alphabet letters baby building magnets magnet"},
	{"necklace", "necklace necklaces pendant chain choker beads bead"},
	{"ring", "ring rings earring earrings bracelet bangle brooch jewel jewelled gem crystal diamante"},
	{"balloon", "balloon balloons party birthday"},
	{"tree", "tree trees christmas xmas advent fir"},
	{"bauble", "bauble baubles decoration decorations ornament"},
	{"wreath", "wreath wreaths"},
	{"bell", "bell bells"},
	{"can", "watering can cans garden gardener"},
	{"plant", "plant plants pot pots planter flowerpot herb herbs greenhouse seeds vase"},
	{"bath", "bath bathroom soap soaps flannel sponge shower perfume"},
	{"owl", "owl owls"},
	{"rabbit", "rabbit rabbits bunny bunnies hen easter animal animals"},
	{"bird", "bird birds robin dove cockerel hens duck feather parrot"},
	{"butterfly", "butterfly butterflies dragonfly"},
	{"strawberry", "strawberry strawberries fruit cherry"},
	{"flower", "flower flowers rose roses lily daisy blossom daisies"},
	{"star", "star stars snowflake"},
	{"heart", "heart hearts love sweetheart"},
	{"box", "box boxes storage trinket keepsake tissue tissues case cases"},
	{"gift", "gift wrap"},
}

// prints say what is printed on it.
var prints = [...][2]string{
	{"dots", "polkadot retrospot spot spots spotty dotty dots dot polka"},
	{"check", "gingham check checked tartan jack"},
	{"stripes", "stripe stripes striped stripey candy regency"},
	{"hearts", "heart hearts love sweetheart valentine"},
	{"stars", "star stars spaceboy starry christmas night"},
	{"petals", "flower flowers rose roses paisley daisy floral vintage garden woodland blossom strawberry"},
}

// tones say which colours a name promises.
var tones = [...][2]string{
	{"pink", "pink rose raspberry"},
	{"red", "red retrospot strawberry cherry santa"},
	{"blue", "blue navy ocean"},
	{"green", "green turquoise mint olive leaf"},
	{"yellow", "yellow gold golden orange lemon sunflower amber"},
	{"purple", "purple lilac lavender violet"},
	{"brown", "wooden wood brown chocolate copper bamboo"},
	{"white", "white ivory cream"},
	{"grey", "silver zinc black grey metal antique"},
}

// wordsOf returns the words of a name, small.
func wordsOf(name string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune(" ,/+&()\"", r) }) {
		out[strings.Trim(w, ".-'!?:;")] = true
	}
	return out
}

// first returns the first entry that has one of the words.
func first(table [][2]string, words map[string]bool, otherwise string) string {
	for _, line := range table {
		for w := range strings.FieldsSeq(line[1]) {
			if words[w] {
				return line[0]
			}
		}
	}
	return otherwise
}
