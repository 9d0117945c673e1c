//! One definition per table: the row type, and from it every column with its doc.

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
    };
}
