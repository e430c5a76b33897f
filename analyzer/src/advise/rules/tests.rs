//! Every rule against cases made by hand.
