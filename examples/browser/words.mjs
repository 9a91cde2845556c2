// The simulator has numbers: topics 0 to 11, authors, a share of bait. These are words for them, made up.

export const TOPICS = [
  "Cooking",
  "Astronomy",
  "Ceramics",
  "Cycling",
  "Gardens",
  "Jazz",
  "Architecture",
  "Ocean",
  "Woodwork",
  "Chess",
  "Travel",
  "Film",
];

const TITLES = [
  ["Sourdough, slowly", "Broth from almost nothing", "Knife skills in one onion", "Three salads for late summer"],
  ["Why Saturn leans", "A night at the dark-sky park", "Grinding a mirror at home", "Reading the colour of stars"],
  ["Throwing a tall cylinder", "Ash glaze, first firing", "The kiln we built in spring", "Mending with gold"],
  ["Over the pass before dawn", "Truing a wheel by ear", "Gravel across the plateau", "One gear, forty hills"],
  ["Moss, and how to keep it", "Pruning an old apple tree", "A garden in four crates", "Seeds worth saving"],
  ["The long solo", "Brushes on a cold snare", "Five takes of one standard", "Rehearsal with the lights off"],
  ["A house around a tree", "Concrete that ages well", "The staircase nobody copies", "Light in a narrow court"],
  ["Below the kelp line", "How octopuses choose", "Tides, explained with string", "Night dive in still water"],
  ["A joint without glue", "Planing end grain", "The bench that outlived us", "Steam-bending ash"],
  ["The quiet rook move", "An endgame from 1912", "Losing well", "Openings for the patient"],
  ["Slow train north", "A ferry, then a village", "The market at five", "Walking the old border"],
  ["One shot, nine minutes", "Editing on paper", "Colour before colour film", "The sound of an empty set"],
];
const BAIT = [
  "Nobody tells you this about %",
  "You have been wrong about %",
  "I tried % for a week",
  "This changes % for ever",
  "The % trick they kept quiet",
  "Wait for the end: %",
];
const FIRST = [
  "Quiet",
  "Copper",
  "North",
  "Paper",
  "Salt",
  "Amber",
  "Open",
  "Low",
  "Second",
  "Plain",
  "Harbour",
  "Winter",
  "Field",
  "Cedar",
];
const LAST = [
  "Studio",
  "Workshop",
  "Notes",
  "House",
  "Room",
  "Press",
  "Club",
  "Archive",
  "Lane",
  "Hours",
  "Union",
  "Works",
];

/** Above half, reports call it bait: docs/simulator.md. */
export const isBait = ({ bait }) => bait > 0.5;

/** The `used`-th title of an item's topic; for bait, the `baits`-th way to put it. */
export function title(item, used, baits) {
  if (!isBait(item)) return TITLES[item.topic][used % TITLES[item.topic].length];
  return BAIT[baits % BAIT.length].replace("%", TOPICS[item.topic].toLowerCase());
}

export const author = (id) => `${FIRST[id % FIRST.length]} ${LAST[Math.floor(id / FIRST.length) % LAST.length]}`;
