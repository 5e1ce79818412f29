"""What leaves Boxstrap: data sets in the formats of other programs, and models as graphs."""
