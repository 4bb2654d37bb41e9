"""Tests of the house itself: what is shipped beside the code keeps its promises."""
