"""Does filling help phase retrieval? Filled scans are reconstructed and compared with the truth."""
