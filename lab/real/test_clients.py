"""What agents tell is read as far as it is written."""

from clients import whole_lines


def test_the_rest_of_a_line_that_was_cut_is_no_line_of_its_own():
    # The agent wrote the second line's end between two reads of one pass over the file.
    assert list(whole_lines([b'{"pieces": 1}\n', b'{"pieces": 2}', b"\n"])) == [b'{"pieces": 1}\n']
    assert list(whole_lines([b"{}\n", b"{}\n"])) == [b"{}\n"] * 2
