import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/frame.css';
import './style/chat.css';
import './style/views.css';
import { render } from 'preact';
import { Frame } from './frame/Frame';

render(<Frame />, document.getElementById('page')!);
