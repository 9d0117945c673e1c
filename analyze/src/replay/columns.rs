//! Columns of a Parquet batch, read row by row whatever version of the schema wrote them; one that is not there is null.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Int32Array, Int64Array, StringArray,
        StringViewArray,
    },
    compute::cast,
    datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};

use super::batch::Batch;

/// A column of texts of which most differ.
pub struct Texts<'a> {
    array: Option<&'a StringViewArray>,
    /// What every row has.
    constant: Option<&'a str>,
}

impl<'a> Texts<'a> {
    /// The column of a batch; one that is not there is null throughout.
    pub fn of(batch: &'a Batch, name: &str) -> Result<Self, String> {
        let array = match batch.column_by_name(name) {
            None => None,
            Some(column) => Some(column.as_string_view_opt().ok_or_else(|| wrong(name))?),
        };
        Ok(Self { array, constant: batch.constant(name) })
    }

    /// A row's text.
    pub fn text(&self, row: usize) -> Option<&'a str> {
        if self.constant.is_some() {
            return self.constant;
        }
        let array = self.array?;
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }

    /// What says whether two rows of this batch have the same text without looking at it; it may differ nevertheless.
    pub fn view(&self, row: usize) -> Option<u128> {
        if self.constant.is_some() {
            return Some(0);
        }
        self.array?.views().get(row).copied()
    }
}

/// A column of texts of which there are few: each is looked at once a batch.
pub struct Words<'a> {
    /// Each row's word by its place in the list.
    rows: Option<(&'a Int32Array, &'a StringArray)>,
    /// What every row has.
    constant: Option<&'a str>,
    /// What was made of each word, plus 1; 0 for one that was not looked at.
    codes: Vec<u32>,
}

impl<'a> Words<'a> {
    /// The column of a batch; one that is not there is null throughout.
    pub fn of(batch: &'a Batch, name: &str) -> Result<Self, String> {
        let rows = match batch.column_by_name(name) {
            None => None,
            Some(column) => {
                let column = column.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(name))?;
                let texts = column.values().as_string_opt().ok_or_else(|| wrong(name))?;
                Some((column.keys(), texts))
            }
        };
        let constant = batch.constant(name);
        let number = if constant.is_some() { 1 } else { rows.map_or(0, |(_, texts)| texts.len()) };
        Ok(Self { rows, constant, codes: vec![0; number] })
    }

    /// Whether a text of the batch may begin so; the list may have more than the rows.
    pub fn some_may_begin(&self, start: &[u8]) -> bool {
        let listed = self.rows.into_iter().flat_map(|(_, texts)| texts.iter().flatten());
        self.constant.into_iter().chain(listed).any(|text| text.as_bytes().starts_with(start))
    }

    /// What `code` makes of a row's text, which is asked once for each; 0 for null.
    pub fn code(&mut self, row: usize, code: impl FnOnce(&str) -> u32) -> u32 {
        let Some(place) = self.place(row) else { return 0 };
        match self.codes.get(place).and_then(|code| code.checked_sub(1)) {
            Some(code) => code,
            None => self.see(place, code),
        }
    }

    fn place(&self, row: usize) -> Option<usize> {
        if self.constant.is_some() {
            return Some(0);
        }
        let (rows, _) = self.rows?;
        if rows.nulls().is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row)) {
            return None;
        }
        usize::try_from(*rows.values().get(row)?).ok()
    }

    #[cold]
    fn see(&mut self, place: usize, code: impl FnOnce(&str) -> u32) -> u32 {
        let listed = || {
            let (_, texts) = self.rows?;
            (place < texts.len() && texts.is_valid(place)).then(|| texts.value(place))
        };
        let code = self.constant.or_else(listed).map_or(0, code);
        if let Some(seen) = self.codes.get_mut(place) {
            *seen = code.saturating_add(1);
        }
        code
    }
}

/// Whether a view begins so, as far as its first four bytes tell; that of a null may by chance.
fn some_begins(views: &[u128], start: &[u8]) -> bool {
    let (mut bytes, mut mask) = ([0; 4], [0; 4]);
    for ((byte, mask), start) in bytes.iter_mut().zip(&mut mask).zip(start) {
        (*byte, *mask) = (*start, u8::MAX);
    }
    // A view is the length, 4 bytes, and then the text or its beginning.
    let (bytes, mask) =
        (u128::from(u32::from_le_bytes(bytes)) << 32, u128::from(u32::from_le_bytes(mask)) << 32);
    views.iter().any(|view| view & mask == bytes)
}

fn wrong(name: &str) -> String {
    format!("column {name} has a type that cannot be read")
}

/// A column of numbers or times as `Int64`; null throughout where there is none.
pub struct Numbers(Option<Int64Array>);

impl Numbers {
    /// The column of a batch.
    pub fn of(batch: &Batch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        let cast_to = |to: &DataType| cast(column, to).map_err(|error| format!("column {name}: {error}"));
        let micros = |times: &ArrayRef| {
            let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(times.reinterpret_cast::<Int64Type>())
        };
        let found = match column.data_type() {
            DataType::Int64 => column.as_primitive_opt::<Int64Type>().cloned(),
            DataType::Timestamp(TimeUnit::Microsecond, _) => micros(column),
            DataType::Timestamp(_, zone) => {
                micros(&cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?)
            }
            _ => cast_to(&DataType::Int64)?.as_primitive_opt::<Int64Type>().cloned(),
        };
        Ok(Self(Some(found.ok_or_else(|| wrong(name))?)))
    }

    /// A row's value.
    pub fn get(&self, row: usize) -> Option<i64> {
        let array = self.0.as_ref()?;
        if array.nulls().is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row)) {
            return None;
        }
        array.values().get(row).copied()
    }

    /// A row's port; -1 where there is none.
    pub fn port(&self, row: usize) -> i32 {
        self.get(row).and_then(|port| i32::try_from(port).ok()).unwrap_or(-1)
    }
}

/// A column of bytes.
pub struct Bytes<'a>(Option<&'a BinaryViewArray>);

impl<'a> Bytes<'a> {
    /// The column of a batch.
    pub fn of(batch: &'a Batch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        Ok(Self(Some(column.as_binary_view_opt().ok_or_else(|| wrong(name))?)))
    }

    /// Whether a value of the batch may begin so: a glance at all rows, after which few batches are left to be read.
    pub fn some_may_begin(&self, start: &[u8]) -> bool {
        self.0.is_some_and(|array| some_begins(array.views(), start))
    }

    /// A row's bytes.
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        let array = self.0?;
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }
}

/// A column of truths; null is false.
pub struct Truths<'a>(Option<&'a BooleanArray>);

impl<'a> Truths<'a> {
    /// The column of a batch.
    pub fn of(batch: &'a Batch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        Ok(Self(Some(column.as_boolean_opt().ok_or_else(|| wrong(name))?)))
    }

    /// A row's truth.
    pub fn get(&self, row: usize) -> bool {
        self.0.is_some_and(|array| row < array.len() && array.is_valid(row) && array.values().value(row))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{array::DictionaryArray, record_batch::RecordBatch};

    use super::*;

    #[test]
    fn a_word_is_looked_at_once_a_batch() {
        let rows = Int32Array::from(vec![Some(1), None, Some(2), Some(1), Some(0), Some(2)]);
        let words = StringArray::from(vec![Some("out"), Some("in"), None, Some("in no row")]);
        let rows = DictionaryArray::try_new(rows, Arc::new(words)).unwrap();
        let batch = RecordBatch::try_from_iter([("direction", Arc::new(rows) as ArrayRef)]).unwrap();
        let batch = Batch::new(batch, Arc::from([]));

        let (mut direction, mut none) =
            (Words::of(&batch, "direction").unwrap(), Words::of(&batch, "kind").unwrap());
        let mut asked = Vec::new();
        let codes: Vec<u32> = (0..8)
            .map(|row| {
                direction.code(row, |text| {
                    asked.push(text.to_owned());
                    u32::try_from(text.len()).unwrap()
                })
            })
            .collect();
        assert_eq!(codes, [2, 0, 0, 2, 3, 0, 0, 0]);
        assert_eq!(asked, ["in", "out"]);
        assert_eq!(none.code(0, |_| 7), 0);
        assert!(direction.some_may_begin(b"in ") && !direction.some_may_begin(b"no"));
    }

    #[test]
    fn a_glance_finds_every_text_that_begins_so() {
        let texts = ["", "S", "Swa", "Swarm", "Swarmtally 1.0 of a long name", "warm", "a rather long text"];
        let array: StringViewArray = texts.iter().map(Some).chain([None]).collect();
        for (row, text) in texts.iter().enumerate() {
            let one = array.slice(row, 1);
            for start in ["Swarmtally ", "Swar", "Swa", "a r"] {
                let begins = text.as_bytes().starts_with(&start.as_bytes()[..start.len().min(4)]);
                assert_eq!(some_begins(one.views(), start.as_bytes()), begins, "{text:?} {start:?}");
            }
        }
    }
}
