//! The page's data: JSON → deflate → base64, which the page's script undoes with what every browser has.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};
use serde::Serialize;

use super::ReportError;

/// Packs data as text without characters that mean anything to HTML.
pub fn pack(data: &impl Serialize) -> Result<String, ReportError> {
    let json = serde_json::to_vec(data).map_err(ReportError::Data)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&json).map_err(ReportError::Pack)?;
    let packed = encoder.finish().map_err(ReportError::Pack)?;
    Ok(data_encoding::BASE64.encode(&packed))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let packed = pack(&["<script>", "ü"]).unwrap();
        let stored = data_encoding::BASE64.decode(packed.as_bytes()).unwrap();
        let mut json = String::new();
        flate2::read::DeflateDecoder::new(&stored[..]).read_to_string(&mut json).unwrap();
        assert_eq!(json, "[\"<script>\",\"ü\"]");
    }
}
