"""The people of an invented dealer group, at work over the public API: nothing here knows more than a client may know.

Everything that they do follows from one seed and the hour: the same group does the same on the same day. What is drawn
is drawn for a thing (`a customer's mood`, `the second attempt of this call`) and not in the order of the calls, so that
one call more or less changes nothing else.
"""
