//! One definition per table: the row type, and from it every column with its type, nullability and doc.

/// Defines a row type; its fields are the table's columns besides `time` and `run`, its docs the reference.
macro_rules! define_table {
    (
        $(#[doc = $table_doc:literal])*
        $row:ident in $table:literal {
            $( $(#[doc = $doc:literal])* $field:ident : $kind:ty, )*
        }
    ) => {
        $(#[doc = $table_doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $row { $( $(#[doc = $doc])* pub $field: $kind, )* }

        #[cfg(test)]
        impl $crate::table::sample::Sample for $row {
            fn sample(draw: &mut $crate::table::sample::Draw) -> Self {
                Self { $( $field: $crate::table::sample::Sample::sample(draw), )* }
            }
        }

        impl $crate::table::TableRow for $row {
            const TABLE: &'static str = $table;
            const DOC: &'static str = concat!($( $table_doc, "\n", )*);

            fn columns() -> Vec<$crate::table::Column> {
                vec![ $( $crate::table::Column::of::<$kind>(stringify!($field), concat!($( $doc, "\n", )*)), )* ]
            }

            fn sort_key(&self) -> $crate::table::SortKey {
                #[allow(unused_mut, reason = "tables without an address have nothing to set")]
                let mut key = $crate::table::SortKey::default();
                $( sort_key_part!(key, self, $field); )*
                key
            }

            fn arrays(rows: &[&Self]) -> Vec<arrow::array::ArrayRef> {
                use $crate::cell::{Cell, Scalar};
                vec![ $(
                    <<$kind as Cell>::Scalar as Scalar>::array(rows.iter().map(|row| Cell::scalar(&row.$field))),
                )* ]
            }

            fn from_batch(
                batch: &arrow::array::RecordBatch,
            ) -> Result<Vec<Self>, $crate::table::ColumnError> {
                $( let mut $field = $crate::table::column_values::<$kind>(batch, stringify!($field))?.into_iter(); )*
                Ok(std::iter::from_fn(|| Some(Self { $( $field: $field.next()?, )* })).collect())
            }
        }
    };
}

/// Sets the part of a sort key that a field of this name is.
macro_rules! sort_key_part {
    ($key:ident, $row:ident, info_hash) => {
        $key.info_hash = $row.info_hash.0;
    };
    ($key:ident, $row:ident, ip) => {
        $key.ip = $crate::table::IpText::new($row.ip);
    };
    ($key:ident, $row:ident, port) => {
        $key.port = $row.port;
    };
    ($key:ident, $row:ident, $other:ident) => {};
}
