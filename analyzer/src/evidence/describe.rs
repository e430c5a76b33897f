//! stub
use super::Piece;
use schemas::diagnosis::Evidence;
/// stub
pub fn describe(piece: &Piece) -> Evidence {
    Evidence {
        id: piece.id.to_string(),
        ..Evidence::default()
    }
}
