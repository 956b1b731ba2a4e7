/** Entry of the desk: puts the application on the page; everything else is in App.svelte. */
import { mount } from 'svelte';
import App from './App.svelte';
import './theme.css';

mount(App, { target: document.getElementById('app')! });
