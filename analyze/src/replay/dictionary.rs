//! Which different values a column of a row group has, as its dictionary tells: rows need not be decoded to know that none
//! has a certain one.

use std::sync::Arc;

use parquet::{
    basic::Encoding,
    column::page::{Page, PageReader as _},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, RowGroupMetaData},
        reader::ChunkReader,
        serialized_reader::SerializedPageReader,
    },
};

/// Whether a row may have a value of text or bytes in a column that begins so: not where the file lacks the column, or where
/// a dictionary has every value and none that begins so.
pub fn some_may_begin(
    reader: impl ChunkReader + 'static,
    group: &RowGroupMetaData,
    column: &str,
    start: &[u8],
) -> Result<bool, ParquetError> {
    let Some(column) = group.columns().iter().find(|found| found.column_descr().name() == column) else {
        return Ok(false);
    };
    if !is_told_by_dictionary(column) {
        return Ok(true);
    }
    let rows = usize::try_from(group.num_rows()).unwrap_or(0);
    let page = SerializedPageReader::new(Arc::new(reader), column, rows, None)?.get_next_page()?;
    let Some(Page::DictionaryPage { buf, num_values, .. }) = page else { return Ok(true) };
    let mut rest = &buf[..];
    for _ in 0..num_values {
        let Some((value, others)) = split_value(rest) else { return Ok(true) };
        if value.starts_with(start) {
            return Ok(true);
        }
        rest = others;
    }
    Ok(false)
}

/// Whether every value is in the dictionary: writers leave it where it grows too large.
fn is_told_by_dictionary(column: &ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_some()
        && column.page_encoding_stats_mask().is_some_and(|encodings| {
            encodings.is_only(Encoding::PLAIN_DICTIONARY) || encodings.is_only(Encoding::RLE_DICTIONARY)
        })
}

/// The first value of a plain page, its length before it, and what follows.
fn split_value(page: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = page.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::{
        arrow::{
            ArrowWriter,
            arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
        },
        file::properties::{WriterProperties, WriterPropertiesBuilder},
    };

    use super::*;

    fn may_begin(texts: &[Option<&str>], properties: WriterPropertiesBuilder, start: &str) -> bool {
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let rows = RecordBatch::try_from_iter_with_nullable([("client", column, true)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build())).unwrap();
        writer.write(&rows).unwrap();
        let file = Bytes::from(writer.into_inner().unwrap());
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).unwrap();
        let group = metadata.metadata().row_group(0);
        assert!(!some_may_begin(file.clone(), group, "of_another_version", start.as_bytes()).unwrap());
        some_may_begin(file, group, "client", start.as_bytes()).unwrap()
    }

    #[test]
    fn a_dictionary_tells_what_no_row_has() {
        let texts = [Some("Swarmer 2"), None, Some("aria2"), Some(""), Some("aria2")];
        for (start, expected) in [("Swarm", true), ("Swarmtally ", false), ("aria2", true), ("aria2!", false)]
        {
            assert_eq!(may_begin(&texts, WriterProperties::builder(), start), expected, "{start}");
        }
        assert!(!may_begin(&[None, None], WriterProperties::builder(), "S"));
    }

    #[test]
    fn without_a_dictionary_of_all_values_any_row_may_have_it() {
        let none = WriterProperties::builder().set_dictionary_enabled(false);
        assert!(may_begin(&[Some("aria2")], none, "Swarm"));
        // It is given up after the first values, and the other ones are in no dictionary.
        let texts: Vec<String> = (0..5_000).map(|number| format!("client {number}")).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let small = WriterProperties::builder().set_dictionary_page_size_limit(100).set_write_batch_size(10);
        assert!(may_begin(&texts, small, "Swarm"));
        assert!(!may_begin(&texts, WriterProperties::builder(), "Swarm"));
    }
}
