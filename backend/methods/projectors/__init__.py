"""Where does it sit on the map?"""
