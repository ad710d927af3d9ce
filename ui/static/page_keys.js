// Keys that the Label page, or every page, uses itself: no label can have them. The server refuses
// them as well, by the same list (PAGE_KEYS in backend/store/label_keys.py).

export const PAGE_KEYS = 'unefgclhpb0./?+-=';

/** Whether a key may be given to a label: one character that can be typed and seen. */
export const isFree = key => [...key].length === 1 && key.trim() !== '' && !PAGE_KEYS.includes(key.toLowerCase());
