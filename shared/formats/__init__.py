"""Text in, model out: the formats the field speaks. Pure and fuzzed: no bytes make them raise by surprise."""
