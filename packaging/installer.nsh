; What the Windows installer adds: "Open with Marginalia" on folders, because a project is one.
; SHELL_CONTEXT is the user's part of the registry or the machine's, as the installation is.
!macro customInstall
  WriteRegStr SHELL_CONTEXT "Software\Classes\Directory\shell\Marginalia" "" "Open with Marginalia"
  WriteRegStr SHELL_CONTEXT "Software\Classes\Directory\shell\Marginalia" "Icon" "$INSTDIR\${APP_EXECUTABLE_FILENAME}"
  WriteRegStr SHELL_CONTEXT "Software\Classes\Directory\shell\Marginalia\command" "" '"$INSTDIR\${APP_EXECUTABLE_FILENAME}" "%V"'
!macroend

!macro customUnInstall
  DeleteRegKey SHELL_CONTEXT "Software\Classes\Directory\shell\Marginalia"
!macroend
